"""The live proof: each alert of the shipped rules fires on the fault it is meant for, and on nothing else.

- *world*: the demo's fleet, and *posts*, agents beside it that are set up for one kind of trouble each.
- *monitoring*: Prometheus and Alertmanager, with the shipped template and routes, every time divided by one factor.
- *traffic*: what goes on while nothing is wrong.
- *fault*: something real that goes wrong and is put right again: a process killed, a store stopped.
- *life*: what became of one alert: pending, firing, delivered, resolved.

`make e2e` runs it. Part of the test suite is only what can be held without running it (`test_registered.py`).
"""
