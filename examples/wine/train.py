"""Fit a classifier on the wine table and record what came out."""

import argparse

from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split

import lin

parser = argparse.ArgumentParser()
parser.add_argument("--alpha", type=float, default=1.0)
alpha = parser.parse_args().alpha

frame = lin.read_table("wine").to_pandas()
features = frame.drop(columns=["ID", "target"])
train, test, train_target, test_target = train_test_split(features, frame["target"], random_state=0)
model = RidgeClassifier(alpha=alpha).fit(train, train_target)

lin.log_param("rows", len(train))
lin.log_metric("accuracy", accuracy_score(test_target, model.predict(test)))
