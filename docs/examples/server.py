"""A model behind HTTP, without a framework for it: GET /healthz, and POST /predict with a JSON list of 4 numbers."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import torch

MODEL = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Softmax(dim=0)).eval()  # load yours here


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    def do_GET(self) -> None:
        """Say that the model is loaded."""
        self.answer(200 if self.path == "/healthz" else 404, {"threads": torch.get_num_threads()})

    def do_POST(self) -> None:
        """Compute."""
        text = self.rfile.read(int(self.headers["Content-Length"]))
        with torch.inference_mode():
            self.answer(200, {"answer": MODEL(torch.tensor(json.loads(text), dtype=torch.float32)).tolist()})

    def answer(self, status: int, document: dict[str, object]) -> None:
        """Send a JSON document."""
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("", 8080), Handler).serve_forever()
