"""HTTP: the service over a socket, and the client that asks it.

statuses   errors to statuses and back
body       a request's body, bounded
tensors    JSON tensors to rows, predictions to tensors
json_body  JSON within bounds
gate       how many at once, none while stopping, and metrics
reception  who asks
app        the addresses
server     uvicorn on a port
workers    several processes on one port
connection the client's side of the socket
key_safe   a client's keys, encrypted between runs
private_line  the client's side of asking under encryption
inputs     tables, rows and images to rows that are checked
images     pictures from files
client     asks the service, and is a model itself
"""

from holdfast.http.answers import ModelMetadata, PrivateAnswer
from holdfast.http.app import create_app
from holdfast.http.client import Client
from holdfast.http.images import read_arrays, read_images
from holdfast.http.inputs import Inputs, Pixels
from holdfast.http.key_safe import KeySafe
from holdfast.http.private_line import Progress
from holdfast.http.server import Tls, running, serve
from holdfast.http.workers import serve_workers

__all__ = [
    "Client",
    "Inputs",
    "KeySafe",
    "ModelMetadata",
    "Pixels",
    "PrivateAnswer",
    "Progress",
    "Tls",
    "create_app",
    "read_arrays",
    "read_images",
    "running",
    "serve",
    "serve_workers",
]
