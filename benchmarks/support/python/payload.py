# SPDX-License-Identifier: BSL-1.0
"""Payload: how fast do 64 MiB travel, as a share of memcpy's speed? They are bytes: a bytearray takes one copy more."""

from measure import Options, Report, Stopwatch

SIZE = 64 << 20


def look_at(data):
    """Looks at each page and does no more."""
    return sum(data[::4096])


def give_back(data):
    return data


def measure(make_pool):
    options = Options()
    pool = make_pool(1)
    data = bytes(range(256)) * (SIZE // 256)
    copy = memoryview(bytearray(data))
    copied, read, returned = [], [], []
    for run in range(-1, options.count(5, 1)):
        watch = Stopwatch()
        copy[:] = data
        times = [watch.lap()]
        total = pool.submit(look_at, data)()
        times.append(watch.lap())
        result = pool.submit(give_back, data)()
        times.append(watch.lap())
        assert total == look_at(data) and result == data, "wrong result: the payload as it was sent"
        if run >= 0:
            for list_of_times, time in zip((copied, read, returned), times):
                list_of_times.append(time)
    pool.stop()
    report = Report("payload", pool.name)
    report.print("64 MiB: memcpy", "ns", copied)
    report.print("64 MiB: read as a span", "ns", read)
    report.print("64 MiB: there and back", "ns", returned)
    for label, times in (("read as a span", read), ("there and back", returned)):
        shares = [copying / time for copying, time in zip(copied, times)]
        report.print(f"share of memcpy's speed: {label}", "share", shares)
