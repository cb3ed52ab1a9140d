"""The sample web app that Hostwright deploys. It imports nothing of Hostwright: a web app like yours."""
