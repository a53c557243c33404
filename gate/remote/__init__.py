"""A Docker engine on a server, reached by SSH: one connection, the engine's own API, and the proxy as a container.

Everything on the server is done by its engine: what the proxy reads, and what instances are, lies in a volume that is
written through the proxy's container. Nothing is installed there.
"""
