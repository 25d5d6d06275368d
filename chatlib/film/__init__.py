"""The X-ray: what every thread is waiting for."""
