"""An honest history: what truly happened, told to Florin, and told by the outside world in its own files.

The truth comes first (`stories`), seeded and deterministic. It is played into Florin through Florin's own flows
(`playing`), with a PSP (`psp`) and a bank (`bank`) of its own on the other side of the wire, and their books are
rendered by writers that know the formats and nothing else. What goes wrong is planted from a catalogue, and a manifest
says what must be found. Nothing in here may import `reconciliation`: the mappers and the matcher are what is judged.
"""
