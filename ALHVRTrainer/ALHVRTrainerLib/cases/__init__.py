"""The section Cases: labelled cases and the archive, and what is in the folder PROJECT/cases."""
