"""Three small agents that speak A2A over gRPC, built with a2a-sdk.

- `planner` takes a person's question, has it researched, has it written up, and hands the text on.
- `researcher` looks a topic up in its own collection of facts and answers with data.
- `writer` turns facts into a paragraph, sentence by sentence.

They are deterministic: no model, no network beyond each other, the same answer each time. They are ordinary agents:
each listens where it is told, and calls its peers where it is told they are.
"""
