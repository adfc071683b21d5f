"""A real RTSP server, GStreamer's, in a process of its own: /usr/bin/python3 rtsp_server.py PORT NAME=WHAT...

WHAT is an H.264 file in MP4, or WIDTHxHEIGHT@RATE for a test picture that goes on for ever. It is run by the system's
Python, which has GStreamer's bindings, and imports nothing of ours. Prints "ready" once it listens.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402


def launch_line(what: str) -> str:
    if "@" not in what:
        return f"filesrc location={what} ! qtdemux ! h264parse ! rtph264pay config-interval=-1 name=pay0 pt=96"
    size, _, rate = what.partition("@")
    width, _, height = size.partition("x")
    return (
        f"videotestsrc is-live=true pattern=ball ! video/x-raw,width={width},height={height},framerate={rate}/1 "
        f"! x264enc tune=zerolatency speed-preset=ultrafast key-int-max={rate} "
        "! rtph264pay config-interval=-1 name=pay0"
    )


Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(sys.argv[1])
for mount in sys.argv[2:]:
    name, _, what = mount.partition("=")
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(f"( {launch_line(what)} )")
    server.get_mount_points().add_factory(f"/{name}", factory)
if not server.attach(None):
    sys.exit("cannot listen")
print("ready", flush=True)
GLib.MainLoop().run()
