"""Colours that stay apart for colour-blind readers, on dark pictures and on paper.

After Okabe and Ito 2008, "Color Universal Design", https://jfly.uni-koeln.de/color/
"""

FOUND = "#FFB000"  # outline of what was found
REFERENCE = "#56B4E9"  # outline of the truth, or of another rater
BRAIN = "#2FD6A3"  # outline of the brain mask
BOX = "#F0E442"  # field of view handed to the network
SECOND = "#E58FC0"  # a second finding beside the first

RIGHT = "#D55E00"  # bars of the right side
LEFT = "#0072B2"  # bars of the left side
SERIES = (RIGHT, LEFT, "#009E73", "#CC79A7", "#E69F00", "#56B4E9")

GROUND = "#101317"  # between the panels
BLACK = "#000000"  # behind every scan
INK = "#E8EAED"  # text on the ground
FAINT_INK = "#9AA3AE"  # lesser text on the ground
PAPER = "#FFFFFF"  # behind every chart
PAPER_INK = "#1C2126"  # text on paper
PAPER_FAINT = "#5B6570"  # lesser text on paper
HEAT = "inferno"  # map of probabilities: grows in lightness throughout
