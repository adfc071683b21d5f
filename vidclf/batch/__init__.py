"""Folders of clips: what there is, what is done, and the workers that do the rest."""
