"""Customer.io's Track API: operations, endpoints, requests and responses."""
