"""What makes matplotlib's figures files, where a program shows them or forgets to save them."""

PLOTS = '''\
"""Portal's backend of matplotlib: figures that are shown, or left over at the end, become pictures in the folder."""

import atexit
import itertools
import os

from matplotlib.backend_bases import Gcf
from matplotlib.backends.backend_agg import FigureCanvasAgg, FigureManagerBase


class FigureCanvas(FigureCanvasAgg):
    def print_figure(self, *args, **kwargs):
        self.figure._portal_saved = True
        return super().print_figure(*args, **kwargs)


FigureManager = FigureManagerBase
_numbers = itertools.count(1)


def _save(figure):
    path = next(path for path in map("figure-{}.png".format, _numbers) if not os.path.exists(path))
    figure.savefig(path, dpi=120, bbox_inches="tight")


def show(*args, **kwargs):
    for manager in list(Gcf.get_all_fig_managers()):
        _save(manager.canvas.figure)
        Gcf.destroy(manager)


@atexit.register
def _left_over():
    for manager in Gcf.get_all_fig_managers():
        if not getattr(manager.canvas.figure, "_portal_saved", False):
            _save(manager.canvas.figure)
'''
