"""Write scikit-learn's wine data as wine.csv."""

from sklearn.datasets import load_wine

frame = load_wine(as_frame=True).frame
frame.insert(0, "ID", range(1, len(frame) + 1))
frame.to_csv("wine.csv", index=False)
