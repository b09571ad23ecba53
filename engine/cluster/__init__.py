"""Where backends run: in this process (`local`), or as the actors of a Ray cluster (`ray_cluster`).

`conf/cluster/*.yaml` names a cluster's class; it is made from the `cluster` config and answers one question:

    cluster.backend(spec, stage)    a backend, not yet entered, that runs the requests of `stage`

What a request carries in `finish` (see `engine.finish`) is done beside the backend, wherever that is.
"""
