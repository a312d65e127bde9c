"""The scenes of the demo, by what they are about. `config/demo/story.py` puts them in order."""
