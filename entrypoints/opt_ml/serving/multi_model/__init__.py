"""Multi-model endpoints: many models in one container, which come and go while it runs (MME-01 to MME-23).

    front --> api --> registry --> hosts --> shared_process --> host_link --frames--> host --> hosted
                               --> dedicated --> pool --> ... (a process of its own a model)

`api` speaks HTTP. `registry` is what there is: one entry a name, its state, the order of use. A model of the
image's own handler goes to one of a fixed number of shared processes (`hosts`, and `host` inside each of
them): a thousand small models are a thousand entries of a dictionary there, not a thousand processes. A
model that brings code of its own gets a process of its own (`dedicated`), because modules of the same name
cannot live together. `memory` says beforehand whether a model fits.
"""
