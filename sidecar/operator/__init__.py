"""The operator's side of the admin service: commands that look at a running sidecar and change it.

- *line*: how a sidecar is reached, and what a person is told when it is not
- *words*: numbers, times and names as people read them; nothing that came from a network can steer the terminal
- *screen*: tables and trees for 80 columns, with and without colour and Unicode
- one file a command, or a group of commands on one noun

Every command can print JSON instead (`--json`): the messages of `admin.proto`, as protobuf writes them.
"""
