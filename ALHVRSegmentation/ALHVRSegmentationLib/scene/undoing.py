"""Undoing: a segmentation as it was, for when putting a result into it fails half-way."""

import slicer


class Before:
    """How a segmentation node was; None stands for one that is yet to be made."""

    def __init__(self, node):
        self._node_id = None if node is None else node.GetID()
        self._made_id = None
        if node is None:
            return
        segmentation = node.GetSegmentation()
        ids = [segmentation.GetNthSegmentID(index) for index in range(segmentation.GetNumberOfSegments())]
        self._segments = [(segment_id, segmentation.GetSegment(segment_id)) for segment_id in ids]
        self._source = segmentation.GetSourceRepresentationName()
        self._grid = segmentation.SerializeAllConversionParameters()
        self._transform_id = node.GetTransformNodeID()
        self._role = node.GetReferenceImageGeometryReferenceRole()
        self._reference_id = node.GetNodeReferenceID(self._role)
        self._had_display = node.GetDisplayNode() is not None

    def made(self, node):
        """Note the node that was made; it goes again with `restore`."""
        self._made_id = node.GetID()
        return node

    def restore(self):
        """Have the node as it was; nothing where it was removed from the scene meanwhile."""
        scene = slicer.mrmlScene
        if self._made_id is not None:
            made = scene.GetNodeByID(self._made_id)
            if made is not None:
                scene.RemoveNode(made)
            return
        node = scene.GetNodeByID(self._node_id or "")
        if node is not None:
            with slicer.util.NodeModify(node):
                self._restore_segments(node.GetSegmentation())
                self._restore_place(node)

    def _restore_segments(self, segmentation):
        kept = dict(self._segments)
        count = segmentation.GetNumberOfSegments()
        for segment_id in [segmentation.GetNthSegmentID(index) for index in range(count)]:
            if segmentation.GetSegment(segment_id) is not kept.get(segment_id):
                segmentation.RemoveSegment(segment_id)
        segmentation.SetSourceRepresentationName(self._source)
        for segment_id, segment in self._segments:
            if segmentation.GetSegment(segment_id) is None:
                segmentation.AddSegment(segment, segment_id)
        segmentation.ReorderSegments([segment_id for segment_id, _segment in self._segments])

    def _restore_place(self, node):
        node.GetSegmentation().DeserializeConversionParameters(self._grid)
        node.SetAndObserveTransformNodeID(self._transform_id)
        node.SetNodeReferenceID(self._role, self._reference_id)
        if not self._had_display and node.GetDisplayNode() is not None:
            slicer.mrmlScene.RemoveNode(node.GetDisplayNode())
