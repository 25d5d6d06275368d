"""What Jupyter shows, live. The only part of chatlib that needs ipywidgets and anywidget."""
