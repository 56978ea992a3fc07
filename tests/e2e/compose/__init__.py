"""docker-compose.yml played on a machine without Docker, as close to it as Linux itself allows.

- *machine*: private namespaces, made by `unshare`: what is mounted, linked and started in there ends with it.
- *container*: one service in a root of its own (the machine's, read-only, with the mounts of the compose file), in a
  network namespace of its own (an interface for each of its networks), as its user, without capabilities.
- *play*: starts all of them in the order that `depends_on` asks for, runs the health checks as they are written, asks
  the fleet a question, looks at what came of it, stops everything, and writes a report.

Not played: Grafana, Tempo and the collector, which no package registry has. A receiver of spans stands where the
collector would; the other two are absent. What is Docker's own is not shown: building, publishing ports, cgroups.
"""
