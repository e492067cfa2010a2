"""Pictures of volumes and numbers, as PNG bytes.

Patient's right is on the left of every axial and coronal picture (radiological convention), in whatever orientation the
volume was stored; no mask is interpolated. The surface seen from above alone has it on the right, as its letters say.
"""
