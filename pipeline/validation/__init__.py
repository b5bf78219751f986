"""Accuracy measured against implants: piles of known outline, and things that look like coal, in known places.

Implants, not measured coal: what they are made of is a model of coal (science 1.1).
"""
