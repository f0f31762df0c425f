"""Real slice and 3-D views without a window: Slicer's displayable managers drawing into memory."""

from __future__ import annotations

import os
import pathlib
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
import vtk
import vtkmodules.vtkInteractionStyle
import vtkmodules.vtkRenderingContextOpenGL2
import vtkmodules.vtkRenderingFreeType  # noqa: F401 these three register what drawing needs
from slicer_stand_in.mrml_core import MrmlCore
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

if sys.platform == "linux" and not os.environ.get("DISPLAY"):
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
SLICE_MANAGERS = (
    "vtkMRMLVolumeGlyphSliceDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLScalarBarDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLTransformsDisplayableManager2D",
    "vtkMRMLColorLegendDisplayableManager",
)
THREE_D_MANAGERS = (
    "vtkMRMLVolumeRenderingDisplayableManager",
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLThreeDReformatDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager3D",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLTransformsDisplayableManager3D",
    "vtkMRMLColorLegendDisplayableManager",
)


@dataclass(frozen=True)
class SliceSpec:
    """How a slice view is called, oriented and coloured; colour as RGB of 0 to 1."""

    name: str
    orientation: str
    label: str
    colour: tuple[float, float, float]


FOUR_UP = (
    SliceSpec("Red", "Axial", "R", (0.952, 0.290, 0.2)),
    SliceSpec("Green", "Coronal", "G", (0.431, 0.690, 0.294)),
    SliceSpec("Yellow", "Sagittal", "Y", (0.929, 0.835, 0.298)),
)


class View:
    """A render window in memory with a group of displayable managers.

    Args:
        size: width and height in pixels.
    """

    def __init__(self, core: MrmlCore, factory: Any, managers: tuple[str, ...], size: tuple[int, int]) -> None:
        factory.SetMRMLApplicationLogic(core.app_logic)
        self.window = vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(1)
        self.window.SetMultiSamples(0)
        self.window.SetSize(*size)
        self.renderer = vtk.vtkRenderer()
        self.window.AddRenderer(self.renderer)
        self.interactor = vtk.vtkRenderWindowInteractor()
        self.interactor.SetRenderWindow(self.window)
        self.interactor.SetInteractorStyle(vtk.vtkInteractorStyleUser())
        for manager in managers:
            if not factory.IsDisplayableManagerRegistered(manager):
                factory.RegisterDisplayableManager(manager)
        self.group = slicer.vtkMRMLDisplayableManagerGroup()
        self.group.SetRenderer(self.renderer)
        self.group.Initialize(factory, self.renderer)

    def render(self) -> None:
        """Draw now."""
        self.window.Render()

    def image(self) -> np.ndarray:
        """What is seen: uint8 [rows, columns, 3], first row on top."""
        self.render()
        grabber = vtk.vtkWindowToImageFilter()
        grabber.SetInput(self.window)
        grabber.ReadFrontBufferOff()
        grabber.ShouldRerenderOff()
        grabber.Update()
        picture = grabber.GetOutput()
        columns, rows, _ = picture.GetDimensions()
        return vtk_to_numpy(picture.GetPointData().GetScalars()).reshape(rows, columns, -1)[::-1, :, :3].copy()

    def save(self, path: pathlib.Path) -> None:
        """Write what is seen as PNG."""
        write_png(self.image(), path)


class SliceView(View):
    """A slice view with its node and logic."""

    def __init__(self, core: MrmlCore, spec: SliceSpec, size: tuple[int, int] = (400, 400)) -> None:
        super().__init__(core, slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance(), SLICE_MANAGERS, size)
        self.renderer.GetActiveCamera().ParallelProjectionOn()
        overlay = vtk.vtkRenderer()
        overlay.SetLayer(1)
        self.window.SetNumberOfLayers(2)
        self.window.AddRenderer(overlay)
        self.window.SetAlphaBitPlanes(1)
        self._mapper = vtk.vtkImageMapper()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        self._actor = vtk.vtkActor2D()
        self._actor.SetMapper(self._mapper)
        self._actor.GetProperty().SetDisplayLocationToBackground()
        self._actor.SetVisibility(False)
        self.renderer.AddViewProp(self._actor)  # before any other, or the fills of segmentations blend with black
        self.logic = slicer.vtkMRMLSliceLogic()
        self.logic.SetMRMLApplicationLogic(core.app_logic)
        core.app_logic.GetSliceLogics().AddItem(self.logic)
        self.logic.SetMRMLScene(core.scene)
        self._set_up_node(spec)
        self._style = slicer.vtkMRMLSliceViewInteractorStyle()
        self._style.SetSliceLogic(self.logic)
        self._style.SetDisplayableManagers(self.group)
        self._style.SetInteractor(self.interactor)
        self.logic.ResizeSliceNode(*size)

    def _set_up_node(self, spec: SliceSpec) -> None:
        self.node = self.logic.AddSliceNode(spec.name)
        self.node.SetOrientation(spec.orientation)
        self.node.SetLayoutLabel(spec.label)
        self.node.SetLayoutColor(*spec.colour)
        self.node.SetMappedInLayout(1)
        self.group.SetMRMLDisplayableNode(self.node)

    def fit(self) -> None:
        """Show the whole background volume, at one of its slices."""
        self.logic.ResizeSliceNode(*self.window.GetSize())
        self.logic.FitSliceToBackground()
        self.logic.SnapSliceOffsetToIJK()

    def render(self) -> None:
        connection = self.logic.GetImageDataConnection()
        self._mapper.SetInputConnection(connection)
        self._actor.SetVisibility(connection is not None)
        super().render()


class ThreeDView(View):
    """A 3-D view with its node and logic."""

    def __init__(self, core: MrmlCore, name: str = "1", size: tuple[int, int] = (400, 400)) -> None:
        super().__init__(core, slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance(), THREE_D_MANAGERS, size)
        self.logic = slicer.vtkMRMLViewLogic()
        self.logic.SetMRMLApplicationLogic(core.app_logic)
        core.app_logic.GetViewLogics().AddItem(self.logic)
        self.logic.SetMRMLScene(core.scene)
        self.node = self.logic.AddViewNode(name)
        self.node.SetMappedInLayout(1)
        self.group.SetMRMLDisplayableNode(self.node)
        self.renderer.SetUseDepthPeeling(True)

    def camera_node(self) -> Any:
        """The vtkMRMLCameraNode."""
        return self.group.GetDisplayableManagerByClassName("vtkMRMLCameraDisplayableManager").GetCameraNode()

    def reset(self) -> None:
        """Look at all that is visible, the box of the view left out."""
        for show in (False, True):
            self.node.SetBoxVisible(show)
            self.node.SetAxisLabelsVisible(show)
            if not show:
                bounds = [0.0] * 6
                self.renderer.ComputeVisiblePropBounds(bounds)
        middle = [(bounds[axis] + bounds[axis + 1]) / 2 for axis in (0, 2, 4)]
        self.renderer.GetActiveCamera().SetFocalPoint(*middle)
        self.node.InvokeEvent(slicer.vtkMRMLViewNode.ResetFocalPointRequestedEvent)
        self.renderer.ResetCamera()
        self.renderer.ResetCameraClippingRange()


def write_png(image: np.ndarray, path: pathlib.Path) -> None:
    """Write uint8 [rows, columns, 3] as PNG."""
    rows, columns, _ = image.shape
    picture = vtk.vtkImageData()
    picture.SetDimensions(columns, rows, 1)
    picture.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(image[::-1]).reshape(-1, 3), deep=True))
    writer = vtk.vtkPNGWriter()
    writer.SetFileName(str(path))
    writer.SetInputData(picture)
    writer.Write()
