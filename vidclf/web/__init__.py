"""The web page of a running pipeline: its content, access control, and the server."""
