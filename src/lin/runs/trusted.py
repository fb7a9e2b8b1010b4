"""The types that a model file may hold beyond those that skops trusts itself: scikit-learn's own, each looked at.

A type is here if making it with any state runs nothing that the file chose: plain Python classes whose state becomes
their attributes, compiled ones whose state is typed, and functions that are only named. Each is bound to the node
kind by which skops stores it, so that none is ever called with arguments of the file's choosing.

Left out, and why: `scipy.stats` distributions build their argument parser with `exec` from text in their state;
`PyFuncDistance` calls a function of its state; `operator.methodcaller` and bound methods call by name;
`joblib.Memory` reads pickles; the k-means inner loops index what they are given. `Birch` is unknown to skops.
"""

_OBJECTS = """
sklearn._loss.link.HalfLogitLink
sklearn._loss.link.IdentityLink
sklearn._loss.link.Interval
sklearn._loss.link.LogLink
sklearn._loss.link.LogitLink
sklearn._loss.link.MultinomialLogit
sklearn._loss.loss.AbsoluteError
sklearn._loss.loss.ExponentialLoss
sklearn._loss.loss.HalfBinomialLoss
sklearn._loss.loss.HalfGammaLoss
sklearn._loss.loss.HalfMultinomialLoss
sklearn._loss.loss.HalfPoissonLoss
sklearn._loss.loss.HalfSquaredError
sklearn._loss.loss.HalfTweedieLoss
sklearn._loss.loss.HalfTweedieLossIdentity
sklearn._loss.loss.HuberLoss
sklearn._loss.loss.PinballLoss
sklearn.calibration._CalibratedClassifier
sklearn.calibration._SigmoidCalibration
sklearn.calibration._TemperatureScaling
sklearn.compose._column_transformer.make_column_selector
sklearn.ensemble._hist_gradient_boosting.binning._BinMapper
sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor
sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace
sklearn.gaussian_process.kernels.CompoundKernel
sklearn.gaussian_process.kernels.ConstantKernel
sklearn.gaussian_process.kernels.DotProduct
sklearn.gaussian_process.kernels.ExpSineSquared
sklearn.gaussian_process.kernels.Exponentiation
sklearn.gaussian_process.kernels.Matern
sklearn.gaussian_process.kernels.PairwiseKernel
sklearn.gaussian_process.kernels.Product
sklearn.gaussian_process.kernels.RBF
sklearn.gaussian_process.kernels.RationalQuadratic
sklearn.gaussian_process.kernels.Sum
sklearn.gaussian_process.kernels.WhiteKernel
sklearn.impute._iterative.IterativeImputer
sklearn.metrics._dist_metrics.BrayCurtisDistance64
sklearn.metrics._dist_metrics.CanberraDistance64
sklearn.metrics._dist_metrics.ChebyshevDistance64
sklearn.metrics._dist_metrics.DiceDistance64
sklearn.metrics._dist_metrics.EuclideanDistance64
sklearn.metrics._dist_metrics.HammingDistance64
sklearn.metrics._dist_metrics.JaccardDistance64
sklearn.metrics._dist_metrics.MahalanobisDistance64
sklearn.metrics._dist_metrics.ManhattanDistance64
sklearn.metrics._dist_metrics.MinkowskiDistance64
sklearn.metrics._dist_metrics.RogersTanimotoDistance64
sklearn.metrics._dist_metrics.RussellRaoDistance64
sklearn.metrics._dist_metrics.SEuclideanDistance64
sklearn.metrics._dist_metrics.SokalMichenerDistance64
sklearn.metrics._dist_metrics.SokalSneathDistance64
sklearn.metrics._scorer._CurveScorer
sklearn.metrics._scorer._PassthroughScorer
sklearn.metrics._scorer._Scorer
sklearn.model_selection._search_successive_halving.HalvingGridSearchCV
sklearn.model_selection._search_successive_halving.HalvingRandomSearchCV
sklearn.model_selection._split.GroupKFold
sklearn.model_selection._split.LeaveOneOut
sklearn.model_selection._split.PredefinedSplit
sklearn.model_selection._split.RepeatedKFold
sklearn.model_selection._split.RepeatedStratifiedKFold
sklearn.model_selection._split.ShuffleSplit
sklearn.model_selection._split.StratifiedGroupKFold
sklearn.model_selection._split.StratifiedShuffleSplit
sklearn.model_selection._split.TimeSeriesSplit
sklearn.model_selection._split._CVIterableWrapper
sklearn.multiclass._ConstantPredictor
sklearn.neighbors._ball_tree.BallTree
sklearn.neighbors._kd_tree.KDTree
sklearn.neural_network._stochastic_optimizers.AdamOptimizer
sklearn.neural_network._stochastic_optimizers.SGDOptimizer
sklearn.utils._metadata_requests.MetadataRequest
sklearn.utils._metadata_requests.MethodMetadataRequest
scipy.interpolate._bsplines.BSpline
"""

_FUNCTIONS = """
sklearn.feature_selection._mutual_info.mutual_info_classif
sklearn.feature_selection._mutual_info.mutual_info_regression
sklearn.feature_selection._univariate_selection.chi2
sklearn.feature_selection._univariate_selection.f_classif
sklearn.feature_selection._univariate_selection.f_regression
sklearn.feature_selection._univariate_selection.r_regression
sklearn.metrics._classification.accuracy_score
sklearn.metrics._classification.balanced_accuracy_score
sklearn.metrics._classification.brier_score_loss
sklearn.metrics._classification.d2_brier_score
sklearn.metrics._classification.d2_log_loss_score
sklearn.metrics._classification.f1_score
sklearn.metrics._classification.jaccard_score
sklearn.metrics._classification.log_loss
sklearn.metrics._classification.matthews_corrcoef
sklearn.metrics._classification.precision_score
sklearn.metrics._classification.recall_score
sklearn.metrics._ranking.average_precision_score
sklearn.metrics._ranking.roc_auc_score
sklearn.metrics._ranking.top_k_accuracy_score
sklearn.metrics._regression.d2_absolute_error_score
sklearn.metrics._regression.explained_variance_score
sklearn.metrics._regression.max_error
sklearn.metrics._regression.mean_absolute_error
sklearn.metrics._regression.mean_absolute_percentage_error
sklearn.metrics._regression.mean_gamma_deviance
sklearn.metrics._regression.mean_poisson_deviance
sklearn.metrics._regression.mean_squared_error
sklearn.metrics._regression.mean_squared_log_error
sklearn.metrics._regression.median_absolute_error
sklearn.metrics._regression.r2_score
sklearn.metrics._regression.root_mean_squared_error
sklearn.metrics._regression.root_mean_squared_log_error
sklearn.metrics._scorer.negative_likelihood_ratio
sklearn.metrics._scorer.positive_likelihood_ratio
sklearn.utils.validation.check_array
numpy.mean
numpy.median
scipy._lib.array_api_compat.numpy._aliases.asarray
"""

TRUSTED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_OBJECTS.split(), ("ObjectNode",)),
    **dict.fromkeys(_FUNCTIONS.split(), ("FunctionNode",)),
    "builtins.frozenset": ("ConstructorFromReduceNode",),
    "functools.partial": ("PartialNode",),
    "numpy.dtype": ("DTypeNode",),
    "scipy.sparse._csc.csc_array": ("SparseMatrixNode",),
    "scipy.sparse._csc.csc_matrix": ("SparseMatrixNode",),
    "scipy.sparse._csr.csr_array": ("SparseMatrixNode",),
    "scipy.sparse._csr.csr_matrix": ("SparseMatrixNode",),
    "sklearn.compose._column_transformer._RemainderColsList": ("ObjectNode",),
    "sklearn.impute._iterative._ImputerTriplet": ("TupleNode",),
    "sklearn.model_selection._split.KFold": ("ObjectNode", "TypeNode"),  # a repeated one holds the class
    "sklearn.model_selection._split.StratifiedKFold": ("ObjectNode", "TypeNode"),
    "sklearn.tree._tree.Tree": ("TreeNode",),
    "sklearn.utils._bunch.Bunch": ("DictNode",),
}
"""Import path → the node kinds by which skops stores it."""
