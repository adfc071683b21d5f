"""The ten garments of the sample clip, drawn from outlines, folds, seams and buttons: no photograph is used.

Each function draws one garment; `GARMENTS` maps the labels of Fashion-MNIST to them. As there, a garment is lighter
than what is behind it, and shoes point left.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from sheet import Sheet, both, curve, flip, oval, ribbon


def t_shirt(s: Sheet) -> None:
    white, coral = (238, 232, 222), (232, 128, 104)
    s.paint([*curve((-12, 1), (0, 3), (12, 1)), (10, 14), (-10, 14)], (186, 178, 168))
    sleeve = [(20, 3), *curve((25, 4.6), (33, 10.5), (39, 19), (44, 30)), (31, 37), *curve((26, 30), (23, 16), (20, 3))]
    for outline, side in ((sleeve, 1), (flip(sleeve), -1)):
        s.paint(outline, white)
        s.seam([(side * 42.6, 27.6), (side * 29.6, 34.6)], 0.8)
        s.fold([(side * 36, 30), (side * 29, 20)])
    neck = curve((0, 13), (7, 11), (12, 0.5))
    s.paint(
        both(
            [*neck, (25, 4.5), *curve((26, 16), (27.5, 30), (27, 60), (28, 98)), *curve((28, 98), (14, 100), (0, 100))]
        ),
        white,
    )
    s.seam(both(curve((0, 15.4), (8.6, 12.8), (14, 1))), 0.8)
    s.seam([(-28, 95.5), (28, 95.5)], 0.7)
    for side in (1, -1):
        s.fold(curve((side * 26, 36), (side * 18, 46), (side * 15, 56)))
        s.fold(curve((side * 25, 92), (side * 20, 76), (side * 21, 64)), depth=0.12)
    s.fold(curve((4, 96), (6, 84), (3, 72)), depth=0.1)
    shirt = s.part
    s.paint(oval(0, 40, 11, 11), coral, puff=0.05, rim=0)
    for y, left in ((42, 1.25), (46, 1.2), (49.5, 1.15)):
        s.seam(curve((-12, y), (-6, y - 1.6), (0, y), (6, y + 1.6), (12, y)), 1.1, left)
    s.part = shirt


def trouser(s: Sheet) -> None:
    denim = (164, 190, 220)
    leg = [(0, 2), (17, 2), *curve((17, 2), (20, 20), (20, 36), (18.5, 66), (17.5, 99)), (6, 100)]
    leg += curve((6, 100), (5, 70), (3.6, 44), (1.2, 29))
    leg += [(0, 28)]
    for outline, side in ((leg, 1), (flip(leg), -1)):
        s.paint(outline, denim)
        s.fold(curve((side * 11, 40), (side * 12, 70), (side * 11.5, 97)), 4, -0.12)
        s.fold([(side * 2, 30), (side * 12, 34)], 2)
        s.fold([(side * 4, 36), (side * 10, 44)], 2, 0.12)
        s.fold([(side * 6, 64), (side * 12, 61)], 2, 0.12)
        s.stitch(curve((side * 17.6, 20), (side * 18.3, 40), (side * 16.6, 70), (side * 15.8, 98)))
        s.stitch(curve((side * 9, 7), (side * 11, 13), (side * 19, 15.5)), 0.7)
        s.seam([(side * 6, 96.6), (side * 17.6, 96)], 0.7)
    s.seam([(0, 8), (0, 28)], 0.8, 0.62)
    s.paint(
        both([(0, 0.6), *curve((0, 0.6), (9, 0.4), (17, 0)), (17.6, 6), *curve((17.6, 6), (9, 6.6), (0, 6.8))]), denim
    )
    for x in (-12, 12):
        s.paint([(x - 1, -0.4), (x + 1, -0.4), (x + 1, 7.4), (x - 1, 7.4)], (184, 206, 232))
    s.dot(0, 3.6, 1.7, (226, 196, 128))


def pullover(s: Sheet) -> None:
    wool = (206, 218, 188)
    s.paint([*curve((-11, 2), (0, 4), (11, 2)), (9, 14), (-9, 14)], (156, 168, 138))
    sleeve = [
        (20, 3),
        *curve((26, 6), (33, 15), (37, 40), (41, 90)),
        (31, 91),
        *curve((31, 91), (28, 60), (25, 36), (20, 3)),
    ]
    for outline, side in ((sleeve, 1), (flip(sleeve), -1)):
        s.paint(outline, wool)
        s.stripes(2.2, 0.93)
        s.fold([(side * 36, 56), (side * 28, 50)])
        s.fold([(side * 37, 68), (side * 30, 64)])
        s.fold([(side * 33, 38), (side * 27, 30)])
        s.paint([(side * 31, 89), (side * 41, 88), (side * 40.4, 98.6), (side * 32, 99)], wool)
        s.stripes(1.7, 0.82, 0.7)
    neck = curve((0, 13), (8, 11), (13, 1))
    s.paint(both([*neck, (23, 3.6), *curve((25, 16), (27, 34), (27, 60), (27.5, 93)), (0, 94)]), wool)
    s.stripes(2.2, 0.93)
    for side in (1, -1):
        s.fold(curve((side * 25, 36), (side * 18, 46), (side * 16, 58)))
        s.fold(curve((side * 26, 84), (side * 19, 74), (side * 18, 66)), depth=0.13)
        s.seam(curve((side * 20, 3), (side * 22, 20), (side * 26, 34)), 0.8, 0.84)
    s.paint(both([(0, 91), (27.6, 90.6), *curve((27.6, 90.6), (26.6, 96), (26, 100)), (0, 100)]), wool)
    s.stripes(1.7, 0.82, 0.7)
    s.paint(
        [
            *flip(curve((0, 10.4), (7.5, 8.4), (11, 1))),
            *curve((0, 10.4), (7.5, 8.4), (11, 1)),
            (15, 2),
            *flip(curve((-15, 2), (-10, 13.6), (0, 16))),
            *curve((0, 16), (-10, 13.6), (-15, 2)),
        ],
        wool,
    )


def dress(s: Sheet) -> None:
    rose = (240, 178, 184)
    s.paint([*curve((-9, 6), (0, 9), (9, 6)), (9, 18), (-9, 18)], (196, 134, 142))
    half = [*curve((0, 15), (5, 13), (8, 1)), (12.5, 0), *curve((12.5, 0), (12.4, 10), (16, 18), (15, 27), (12, 38))]
    half += curve((12, 38), (17, 52), (22, 74), (26, 97))
    half += curve((26, 97), (14, 100), (0, 100))
    s.paint(both(half), rose)
    for x, end in ((3, 7), (6, 14), (9, 21), (-3, -7), (-6, -14), (-9, -21)):
        s.fold(curve((x, 43), ((x + end) / 2, 66), (end, 99)), 2.4, 0.2)
        s.fold(curve((x * 0.8 + 1, 46), ((x + end) / 2 + 2, 70), (end + 2.6, 99)), 2, -0.1)
    for side in (1, -1):
        s.fold(curve((side * 14, 24), (side * 8, 29), (side * 6, 38)), 1.8, 0.14)
        s.stitch(curve((side * 2, 16.8), (side * 6.8, 13.6), (side * 9.6, 2)))
    s.seam([(-27, 96.6), (0, 98), (27, 96.6)], 0.6, 0.82)
    s.paint(both([(0, 37.6), (12.4, 36.4), (12.8, 41.4), (0, 42.6)]), (214, 132, 148))
    s.dot(0, 40, 2, (246, 226, 190))


def coat(s: Sheet) -> None:
    camel, horn = (234, 204, 162), (134, 98, 68)
    s.paint([*curve((-13, 2), (0, 0), (13, 2)), (10, 30), (-10, 30)], (190, 158, 118))
    sleeve = [
        (18, 5),
        *curve((23, 7), (31, 16), (36, 42), (40, 82)),
        (29.5, 84),
        *curve((29.5, 84), (26, 56), (24, 36), (18, 5)),
    ]
    for outline, side in ((sleeve, 1), (flip(sleeve), -1)):
        s.paint(outline, camel)
        s.fold([(side * 35, 54), (side * 27, 47)])
        s.fold([(side * 36, 64), (side * 29, 60)])
        s.fold([(side * 31, 34), (side * 25, 28)])
        s.seam([(side * 28, 76), (side * 40, 74.5)], 1.0)
        s.dot(side * 36, 79, 1.2, horn)
    front = [(-6, 36), *curve((4, 22), (9, 10), (11, 1)), (21, 5.4)]
    front += [*curve((23, 18), (25.5, 34), (25.5, 60), (29, 98)), *curve((29, 98), (12, 100), (-6, 100))]
    for outline, side in ((front, 1), ([(-x, y) for x, y in front], -1)):
        s.paint(outline, camel)
        s.fold(curve((side * 23, 36), (side * 17, 46), (side * 16, 58)))
        s.fold(curve((side * 20, 98), (side * 18, 86), (side * 20, 76)), 3, 0.14)
        s.paint([(side * 11.5, 64), (side * 22.5, 62), (side * 23, 67), (side * 12, 69)], (224, 192, 150))
    s.part = s.cover(flip(front))
    s.stitch([(3.4, 42), (3.4, 97)])
    s.fold([(5.6, 40), (5.6, 99)], 1.6, 0.3)
    for y in (43, 56, 69):
        s.dot(1.4, y, 1.9, horn)
        s.dot(-9, y, 1.9, horn)
    for side in (1, -1):
        lapel = [
            (side * -4, 37),
            (side * 17, 23),
            (side * 13, 18.5),
            (side * 18.5, 14.5),
            (side * 13.4, 1.6),
            (side * 10, 0),
        ]
        s.paint([*lapel, *curve((side * 10, 0), (side * 7, 14), (side * -4, 37))], (226, 194, 150))
        s.seam([(side * 13, 18.5), (side * 7.4, 15)], 0.8)


def shirt(s: Sheet) -> None:
    sky, white = (170, 194, 228), (222, 230, 244)
    s.paint([*curve((-9, 3), (0, 0.5), (9, 3)), (6, 14), (-6, 14)], (156, 172, 200))
    sleeve = [
        (19, 5),
        *curve((25, 7), (32, 17), (35.5, 42), (38, 86)),
        (29.6, 87),
        *curve((29.6, 87), (26.5, 56), (23, 36), (19, 5)),
    ]
    for outline, side in ((sleeve, 1), (flip(sleeve), -1)):
        s.paint(outline, sky)
        checks(s)
        s.fold([(side * 34, 56), (side * 27, 50)])
        s.fold([(side * 35, 66), (side * 29, 62)])
        s.paint([(side * 29, 86), (side * 38.6, 85), (side * 38, 94), (side * 30, 95)], white)
        s.dot(side * 32, 90.4, 0.9, (140, 150, 172))
    half = [(0, 14), *curve((4, 11), (8, 6), (9, 3)), (21, 5.5)]
    half += [*curve((22.5, 16), (23.5, 34), (22.5, 60), (24, 90)), *curve((24, 90), (18, 98), (8, 100), (0, 100))]
    s.paint(both(half), sky)
    checks(s)
    for side in (1, -1):
        s.fold(curve((side * 22, 36), (side * 15, 46), (side * 13, 58)))
        s.fold(curve((side * 22, 88), (side * 15, 78), (side * 14, 70)), depth=0.12)
        s.seam(curve((side * 19, 5), (side * 20, 20), (side * 23, 36)), 0.9)
    s.paint([(-3, 14), (3, 14), (3, 99.8), (-3, 99.8)], white, puff=0.1, rim=0.36)
    for y in range(21, 97, 12):
        s.dot(0, y, 1.4, (120, 130, 156))
    s.paint([(8, 33), (18, 32.6), (18, 43), (13, 46), (8.2, 43.4)], sky, puff=0.1, rim=0.36)
    checks(s)
    for side in (-1, 1):
        s.paint(
            [(side * 0.2, 14.6), (side * 8, 0), (side * 11, 2.6), (side * 14.6, 10), (side * 8.4, 20)], white, rim=0.3
        )


def checks(s: Sheet) -> None:
    """A gingham pattern on the last part."""
    s.stripes(8, 0.8, 3.4)
    s.stripes(8, 0.8, 3.4, across=True)


def sandal(s: Sheet) -> None:
    leather, inside, sole, gold = (236, 194, 146), (186, 146, 108), (214, 186, 156), (250, 228, 170)
    ankle = [(29 + 15 * np.cos(a), 14 + 5 * np.sin(a) + 3 * np.cos(a)) for a in np.linspace(np.pi, 3 * np.pi, 49)]
    s.paint(ribbon(ankle[:25], 4.4), inside)  # the far half of the strap around the ankle
    s.paint(ribbon(curve((-30, 48), (-22, 39), (-12, 38), (-6, 44)), 5), inside)
    base = [
        *curve((-50, 49), (-36, 51), (-12, 50), (10, 45), (30, 38), (46, 35)),
        *curve((46, 35), (49, 44), (48, 57)),
        (29, 57),
    ]
    base += [*curve((29, 57), (24, 54), (12, 55), (-10, 58), (-34, 59), (-46, 57), (-50, 53), (-50, 49))]
    s.paint(base, sole)
    s.seam(curve((-50, 53), (-36, 54.4), (-12, 53.4), (10, 48.4), (30, 41.4), (48, 38.6)), 0.9, 0.8)
    s.paint(ribbon(curve((14, 16), (4, 25), (-8, 34), (-20, 39)), 4.4), leather)
    vamp = [*curve((-37, 52.5), (-33, 44), (-26, 38), (-18, 35)), *curve((-8, 36), (-15, 42), (-19, 52))]
    s.paint(vamp, leather)
    s.paint([*curve((-8, 51), (-5, 42), (-2, 35), (0, 28)), *curve((7, 22.6), (6, 34), (5, 48.4))], leather)
    s.paint([*curve((22, 43), (33, 36), (39, 27), (42, 16)), *curve((45, 15), (48, 26), (46.6, 36.4))], leather)
    s.stitch(curve((26, 42.4), (35, 37.4), (41, 29), (44, 19)))
    s.paint(ribbon(ankle[24:], 4.8), leather)
    s.stitch(ankle[25:48])
    s.dot(21, 18, 2.2, gold)


def sneaker(s: Sheet) -> None:
    white, grey, mint = (240, 242, 240), (212, 220, 218), (142, 208, 184)
    s.paint([*curve((-2, 8), (2, 0), (8, -3), (14, 0), (18, 8))], grey)  # the tongue
    upper = curve((-49, 36), (-47, 28), (-38, 23), (-24, 18.6), (-12, 13), (0, 5), (6, 2))
    upper += curve((6, 2), (14, 6.6), (24, 8), (34, 6), (41, 0.6), (45, 1.4), (46, 8), (48, 24), (48, 38))
    s.paint(upper, white)
    s.fold(curve((-44, 33), (-30, 28), (-18, 27)), 2, 0.12)
    s.fold(curve((10, 9), (24, 11.6), (36, 8.6)), 1.6, 0.2)
    s.paint([*curve((-49, 38), (-47, 28), (-38, 23), (-29, 20.2)), *curve((-29, 20.2), (-25, 28), (-26, 38))], grey)
    s.paint(
        [*curve((33, 6.4), (41, 0.6), (45, 1.4), (46, 8), (48, 24), (48, 38)), *curve((38, 38), (37, 24), (33, 6.4))],
        mint,
    )
    for x in (2, 11):
        s.paint(ribbon(curve((x + 5, 13), (x + 1, 24), (x - 8, 37)), 4.6), mint)
    s.paint(
        [*curve((-17, 15.4), (-10, 12), (0, 5), (6, 2)), (11, 6), *curve((11, 6), (4, 12), (-4, 18), (-12, 22))],
        (224, 232, 228),
    )
    for k in range(4):
        left, top = -12 + 5.4 * k, 15.4 - 3.5 * k
        s.paint(
            ribbon(curve((left - 1, top - 3), (left + 2, top + 0.6), (left + 4, top + 5)), 2.2),
            (252, 252, 250),
            puff=0,
            rim=0.34,
        )
    base = [*curve((-50, 35), (-20, 37), (10, 36), (49, 34)), *curve((49, 34), (50.4, 39), (48.6, 44.4))]
    s.paint([*base, *curve((48.6, 44.4), (10, 45.4), (-30, 45.4), (-46, 43.6), (-51, 39), (-50, 35))], (226, 222, 212))
    s.seam(curve((-49, 40.6), (0, 41.8), (49, 39.8)), 0.9, 0.8)


def bag(s: Sheet) -> None:
    ochre, dark = (236, 194, 118), (214, 166, 92)
    s.paint(ribbon(curve((-22, 40), (-21, 18), (-12, 4), (0, 0.8), (12, 4), (21, 18), (22, 40)), 4.4), dark)
    s.stitch(curve((-22, 40), (-21, 18), (-12, 4), (0, 0.8), (12, 4), (21, 18), (22, 40)))
    body = [
        *curve((0, 33), (24, 33), (35, 34.4)),
        *curve((35, 34.4), (40, 56), (43, 84)),
        *curve((43, 84), (42, 91), (36, 93)),
        (0, 94),
    ]
    s.paint(both(body), ochre)
    s.fold(curve((-36, 84), (-20, 80), (-6, 84)), 3, 0.12)
    s.fold(curve((36, 80), (24, 77), (10, 82)), 3, 0.12)
    s.stitch(both([(0, 90.6), (36, 89.6), *curve((39.4, 84), (36.4, 56), (32, 38))][::-1]))
    flap = [*curve((0, 32), (24, 32), (36, 33.4)), *curve((36, 33.4), (36, 48), (28, 60), (14, 66), (0, 67))]
    s.paint(both(flap), (242, 204, 134))
    s.stitch(both(curve((33, 36), (33, 47), (26, 57), (13, 63), (0, 64))))
    s.paint([(-5, 60), (5, 60), (5, 72), (0, 74), (-5, 72)], dark)
    s.dot(0, 67, 2.6, (250, 232, 180))
    for side in (-1, 1):
        s.paint(oval(side * 22, 38, 4, 4), dark)
        s.dot(side * 22, 38, 2, (250, 232, 180))


def ankle_boot(s: Sheet) -> None:
    cognac, sole = (224, 162, 112), (188, 156, 130)
    boot = [*curve((2, 2), (20, 0.6), (40, 2)), *curve((40, 2), (39, 26), (44, 46), (46, 66), (45, 80))]
    boot += [(-46, 82), *curve((-46, 82), (-48, 70), (-40, 60), (-22, 54), (-6, 42), (1, 24), (2, 2))]
    s.paint(boot, cognac)
    s.fold(curve((-4, 46), (10, 50), (24, 46)), 2.4, 0.2)
    s.fold(curve((-12, 52), (4, 58), (22, 54)), 2.4, 0.18)
    s.fold(curve((-40, 66), (-28, 61), (-16, 62)), 3, -0.14)
    s.seam(curve((-24, 55), (-16, 66), (-14, 81)), 0.9)
    s.stitch(curve((-22, 54.4), (-14, 66), (-12, 81)))
    s.seam(curve((26, 48), (32, 62), (33, 80)), 0.9)
    s.stitch(curve((2, 6), (20, 4.6), (40, 6)))
    s.paint(
        [
            (13, 6),
            (27, 5.4),
            *curve((27, 5.4), (27, 24), (23, 42)),
            *curve((23, 42), (18, 42), (16, 40), (12, 24), (13, 6)),
        ],
        (184, 134, 96),
    )
    s.stripes(1.6, 0.8, 0.7)
    s.paint(ribbon(curve((35, 6), (36, -2), (39.5, -2), (39.5, 7)), 2), (184, 134, 96))
    s.paint(
        [
            *curve((-48, 80), (-20, 82), (10, 81), (46, 78)),
            *curve((46, 78), (47.4, 88), (46, 96)),
            (18, 96),
            *curve((18, 96), (17, 91), (12, 89), (-10, 90), (-40, 89), (-48, 86), (-48, 80)),
        ],
        sole,
    )
    s.seam(curve((-48, 84), (-10, 86), (20, 85.4), (47, 83)), 0.9, 0.8)


GARMENTS: dict[str, Callable[[Sheet], None]] = {
    "T-shirt/top": t_shirt,
    "Trouser": trouser,
    "Pullover": pullover,
    "Dress": dress,
    "Coat": coat,
    "Sandal": sandal,
    "Shirt": shirt,
    "Sneaker": sneaker,
    "Bag": bag,
    "Ankle boot": ankle_boot,
}


def draw_garment(label: str) -> np.ndarray:
    """The sprite of one garment, trimmed to its drawing: (height, width, 4) uint8, see `Sheet.sprite`."""
    sheet = Sheet(seed=list(GARMENTS).index(label))
    GARMENTS[label](sheet)
    sprite = sheet.sprite()
    x, y, width, height = cv2.boundingRect(sprite[..., 3])
    return np.pad(sprite[y : y + height, x : x + width], ((2, 2), (2, 2), (0, 0)))
