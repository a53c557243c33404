"""Which instance traffic reaches, and how the proxy is told: by small files that it reads for each request."""
