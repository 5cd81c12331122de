"""The whole ensemble as one ONNX graph: made at the end of training, read by the quick path and the worker.

    models --from_*--> scores (trees, constants, links) --graph, tree_library--> files in compiled/
                                                                                       |
    rows with the native predictions --------------------------------------> evaluator --> predictions

`evaluator` is all that serving needs; it imports NumPy and ONNX Runtime. The rest runs where the frameworks
are. A compiled model is used only where it gives the stored predictions again: see `tolerance`.
"""
