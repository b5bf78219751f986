"""The report's standing paragraphs: how to read it, what 10 m imagery cannot show, how to trace a number."""

READING = (
    (
        "increase, decrease",
        (
            "The 95 % interval of the difference between two years excludes 0, and the change also holds after "
            "allowing for the number of comparisons made (q at or below the limit)."
        ),
    ),
    (
        "no detectable change",
        (
            "The difference is within what measurement error and chance explain. It does not say that nothing "
            "changed: a change smaller than the decision limit would not be called."
        ),
    ),
    (
        "insufficient data",
        "One of the two years has too few usable dates, or the two years were seen in different seasons.",
    ),
    (
        "supported, contradicted",
        (
            "For a claim: the measured change lies above 0 after allowing for the number of comparisons; or below"
            " the margin that was fixed before the run."
        ),
    ),
    (
        "not detectable, not observable",
        (
            "For a claim: the measurement decides neither way; or there is nothing to measure it with (no "
            "adequate year, no sourced zone or perimeter)."
        ),
    ),
    (
        "called from, found from",
        (
            "Called from: the smallest change that would be called (1.96 standard deviations of the difference). "
            "Found from: the change that would be found 95 times in 100 (3.6 standard deviations)."
        ),
    ),
)
"""Terms of the report and what each says."""

LIMITS = (
    (
        "A fence, a wall or a guard line is not visible at 10 m. What is measured is occupied ground: that it "
        "grew past a line does not show that a security perimeter moved."
    ),
    (
        "A stock is not a flow. A larger pile may be output that was not sold or moved; a smaller one may be more"
        " transport. Pile area says nothing certain about production or export."
    ),
    (
        "Colour does not settle the material. What is outlined is dark bulk material; asphalt, dark roofs, slag, "
        "spoil and ore can look alike. Persistence over dates and context reduce this and do not remove it."
    ),
    (
        "Below 0.2 ha (20 pixels) only presence is stated, and below 0.1 ha nothing. Small or narrow piles, "
        "covered stores and underground workings are not seen."
    ),
    (
        "Area is measured, not height. A volume, where one is given, is a range under stated assumptions and no "
        "measurement."
    ),
    (
        "An image is one moment of a morning. Stocks that come and go between usable dates are not seen; each "
        "year's value is a median over its dates, and the number of dates stands beside it."
    ),
    (
        "Cloud, snow, haze and low sun remove dates. A year with too few is left out: it is never filled in or "
        "interpolated."
    ),
    (
        "No terrain model is used: slopes in grazing light are excluded by sun height alone, not by a test of the"
        " illumination of each slope."
    ),
    "No radar (Sentinel-1) is used in this version; nothing is seen through cloud.",
    (
        "Who lives or works at a place, under what conditions, who owns what lies there and why it changed cannot"
        " be seen."
    ),
)
"""What 10 m imagery cannot show (science 1 to 4; aoi/claims.yaml)."""

TRACING = (
    (
        "Every number of this report is a row of the GeoPackage beside it ({site_id}.gpkg): measurements and "
        "changes hold the years' values, stockpile_observations one row per pile and date, each with its scene."
    ),
    (
        "The layer scenes holds every scene that was considered, its verdict, its shift and the hash of its "
        "pixels; the list below is the same."
    ),
    (
        "manifest.json holds the SHA-256 of every input, setting, source file and product. The command stockline"
        " verify on this folder, or on the folder of all sites, checks them again without a network and names "
        "what differs."
    ),
    (
        "The same inputs, settings and program give the same bytes; stockline report rebuilds this document "
        "from the results."
    ),
)
"""How a number is traced; ``{site_id}`` is filled in."""
