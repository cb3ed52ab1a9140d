"""What the throughput case serves: as little of an app as there can be, so that what is around it shows."""

from fastapi import FastAPI, Response

LARGE = b"x" * 100_000
app = FastAPI()


@app.get("/health")
async def health() -> dict[str, str]:
    """Liveness."""
    return {"status": "ok"}


@app.get("/json")
async def small() -> dict[str, object]:
    """A small answer."""
    return {"id": 7, "name": "Ann", "tags": ["a", "b", "c"]}


@app.get("/large")
async def large() -> Response:
    """An answer of 100 kB."""
    return Response(LARGE, media_type="application/octet-stream")
