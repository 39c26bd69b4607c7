"""The example that resizes images, asked for sizes, and given what is no image."""

import pytest

PIXELS = bytes(range(0, 90, 3)) * 2  # of 5 * 4


def ppm(width, height, pixels):
    return b"P6\n%d %d\n255\n%s" % (width, height, pixels)


def mix(line, count):
    """A (line) of pixels as (count): each a mean, weighted by how near they are."""
    mixed = []
    for x in range(count):
        middle, reach = (2 * x + 1) * len(line), 2 * max(count, len(line))
        weights = [
            max(0, reach - abs((2 * i + 1) * count - middle)) for i in range(len(line))
        ]
        total = sum(weights)
        mixed.append(
            tuple(
                (
                    sum(w * pixel[c] for w, pixel in zip(weights, line, strict=True))
                    + total // 2
                )
                // total
                for c in range(3)
            )
        )
    return mixed


def resized(width, height, pixels, to_width, to_height):
    """What the program should make of an image, in a slower way."""
    flat = [tuple(pixels[i : i + 3]) for i in range(0, len(pixels), 3)]
    rows = [mix(flat[y * width : (y + 1) * width], to_width) for y in range(height)]
    columns = [mix(column, to_height) for column in zip(*rows, strict=True)]
    made = (pixel for row in zip(*columns, strict=True) for pixel in row)
    return ppm(to_width, to_height, b"".join(map(bytes, made)))


@pytest.mark.parametrize(
    ("query", "width", "height"),
    [
        ("width=5", 5, 4),
        ("width=10", 10, 8),
        ("height=2", 3, 2),
        ("width=3&height=7", 3, 7),
        ("height=1&width=1", 1, 1),
        ("x=width&width=40&height=1", 40, 1),
    ],
)
def test_an_image_comes_in_the_size_that_is_asked_for(examples, query, width, height):
    answer = examples.request("POST", f"/resize?{query}", ppm(5, 4, PIXELS))
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "image/x-portable-pixmap"
    assert answer.body == resized(5, 4, PIXELS, width, height)


def test_an_image_of_its_own_size_is_what_it_was(examples):
    commented = b"P6 # made by hand\n#\n5\t4 255\n" + PIXELS
    answer = examples.request("POST", "/resize?width=5&height=4", commented)
    assert answer.body == ppm(5, 4, PIXELS)


def test_a_photograph_of_16_megabytes_is_made_small(examples):
    large = ppm(2000, 2700, b"\x01\x80\xff" * (2000 * 2700))
    answer = examples.request("POST", "/resize?width=100", large)
    assert answer.body == ppm(100, 135, b"\x01\x80\xff" * 13500)


@pytest.mark.parametrize(
    ("query", "image", "told"),
    [
        ("?width=2", b"P", b"P6"),
        ("?width=2", b"P5\n1 1\n255\n0", b"P6"),
        ("?width=2", b"P6", b"a side"),
        ("?width=2", b"P6 0 1 255 ", b"a side"),
        ("?width=2", b"P6 4097 1 255 ", b"a side"),
        ("?width=2", b"P6 1 99999999999999999999 255 ", b"a side"),
        ("?width=2", b"P6 -1 1 255 ", b"a side"),
        ("?width=2", b"P6 1 1 65535 abc", b"8 bits"),
        ("?width=2", b"P6 1 1 1 abc", b"8 bits"),
        ("?width=2", b"P6 1 1 255", b"as many pixels"),
        ("?width=2", b"P6 1 1 255 ab", b"as many pixels"),
        ("?width=2", b"P6 1 1 255 abcd", b"as many pixels"),
        ("?width=2", b"P6 4096 4096 255 abc", b"as many pixels"),
        ("?width=2", b"P6 # 1 1 255 abc", b"a side"),
        ("", b"P6 1 1 255 abc", b"?width="),
        ("?width=0", b"P6 1 1 255 abc", b"?width="),
        ("?width=", b"P6 1 1 255 abc", b"?width="),
        ("?width=2x", b"P6 1 1 255 abc", b"?width="),
        ("?width=4097", b"P6 1 1 255 abc", b"?width="),
        ("?height=99999999999999999999999", b"P6 1 1 255 abc", b"?width="),
        ("?width=4096", b"P6 1 4096 255 " + bytes(3 * 4096), b"4 million"),
    ],
)
def test_what_is_no_image_or_no_size_is_refused_with_the_reason(
    examples, query, image, told
):
    answer = examples.request("POST", f"/resize{query}", image)
    assert (answer.status, told in answer.body) == (400, True)


def test_an_image_must_be_posted(examples):
    assert examples.get("/resize?width=2").status == 405
