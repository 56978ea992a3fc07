"""Conversations with known truth: some go round in circles, some only look like it.

- `talk` is a conversation as a script of calls, answers and time
- `words` is what they are about, from the faithful documents beside the verifiers' set, and how people say it again
- `looping` and `ordinary` make them, a kind a function
- `play` runs one through the loop check and tells what was found
"""
