"""Gradients of many data holders at once, clipped so that privacy noise can cover them."""
