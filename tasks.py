"""The commands of this repository: those every project gets, and those for working on Hostwright itself."""

from hostwright.tasks import ns
from hostwright.tasks.development import check, demo, test

for extra in (check, demo, test):
    ns.add_task(extra)
