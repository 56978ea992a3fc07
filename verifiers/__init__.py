"""Verifiers: independent agents that judge what other agents say to each other. They share no code with the sidecar.

    evidence      one exchange as a verifier is shown it: who asks whom, the request's and the response's document
    judge         a function from evidence to a verdict; everything that a verifier is, is in this function
    verdict       pass, inconclusive or fail, with a score and findings
    finding       one thing that does not hold: a rule, a sentence, and where it stands in the document
    description   what a verifier says of itself: what it sees, and what it is blind to

`base` serves a judge over gRPC, `cage` runs what must be stoppable; each other package here is one verifier, started
with `python -m verifiers.NAME --listen 127.0.0.1:7101`. None of them imports another.
"""
