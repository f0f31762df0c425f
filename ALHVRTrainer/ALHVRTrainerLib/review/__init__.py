"""Next case: archive scans in the order of alhvr rank, corrected in the Segment Editor, and added to the cases."""
