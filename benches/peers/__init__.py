"""The other engines of private inference, each run by a Python of its own: `python -m peers.SCRIPT CASE FILE`.

FILE is an .npz with the case's model and rows; what the engine needed is printed as one JSON object, times in
milliseconds and sizes in bytes. `peers.environments` makes the Pythons.
"""
