"""HTTP: the service over a socket, and the client that asks it.

statuses   errors to statuses and back
body       a request's body, bounded
tensors    JSON tensors to rows, predictions to tensors
gate       how many at once, none while stopping, and metrics
app        the addresses
server     uvicorn on a port
connection the client's side of the socket
client     asks the service, and is a model itself
"""

from holdfast.http.answers import ModelMetadata, PrivateAnswer
from holdfast.http.app import create_app
from holdfast.http.client import Client
from holdfast.http.server import Tls, running, serve

__all__ = ["Client", "ModelMetadata", "PrivateAnswer", "Tls", "create_app", "running", "serve"]
