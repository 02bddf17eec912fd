"""What an image is made of: pinned in locks, and fetched with its hash or signature checked."""
