"""The commands of this repository: those every project gets, and those for working on Hostwright itself."""

from invoke.collection import Collection

from hostwright.tasks import ns
from hostwright.tasks.development import bench, check, demo, soak, test

for extra in (bench, check, demo):
    ns.add_task(extra)
tests = Collection("test")
tests.add_task(test, name="all", default=True)  # `inv test`
tests.add_task(soak)
ns.add_collection(tests)
