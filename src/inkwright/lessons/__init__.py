"""The lecture, chapter by chapter, with the figures its notebooks printed. The chapters themselves are notebooks/*.py."""
