"""Settings of the documentation site; ``make site`` builds it into ``build/site``."""

import sys
from pathlib import Path

import lrray.models.config  # noqa: F401  # autodoc's own way of importing it fails in pydantic

sys.path.insert(0, str(Path(__file__).parent))  # for command_pages

project = "lrray"
html_title = "lrray"
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_parser", "command_pages"]
exclude_patterns = ["images", "**/notes.md"]  # notes are parts of reports

# Markdown. Links to headings are checked, so every heading has an anchor as GitHub makes it.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

# ref.python: annotations name Python's own type, which some settings have a field of.
suppress_warnings = ["ref.python"]

# Every public name of a module, in the order of its file; fields of settings with their docstring.
autodoc_default_options = {
    "members": True,
    "member-order": "bysource",
    "exclude-members": "model_config, model_post_init",
}
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
python_use_unqualified_type_names = True
add_module_names = False
toc_object_entries = False
smartquotes = False  # options begin with two hyphens

# Nothing comes from elsewhere: fonts, scripts and the search index are files of the site.
html_theme = "furo"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False


def _keep_prose_whole(app, what, name, obj, options, lines):
    """Keeps napoleon from reading a field's docstring as "type: description".

    It takes whatever stands before the first colon of the first line for the type.
    """
    if what in {"attribute", "data", "property"}:
        lines[:0] = ["..", ""]  # an empty comment, in which there is no colon


def setup(app):
    """Registers what runs before napoleon, whose priority is 500."""
    app.connect("autodoc-process-docstring", _keep_prose_whole, priority=400)
