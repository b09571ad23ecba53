"""From a synthesizer's raw samples to a file that can go on air: trim, loudness, peaks, encoding, tags.

`settings` and `naming` import nothing heavy; the others import numpy, scipy, soxr, soundfile or mutagen.

    mastered = master(Clip(samples, sample_rate), settings)
    figures = write(folder / file_name(key, settings.format), mastered, settings, tags)
"""
