"""Data: named fields, weights, and features turned into classes of rows."""

from causal_scrubbing._data.classes import Classes as Classes
from causal_scrubbing._data.classes import Floats as Floats
from causal_scrubbing._data.classes import Ints as Ints
from causal_scrubbing._data.classes import joint_classes as joint_classes
from causal_scrubbing._data.dataset import ROW as ROW
from causal_scrubbing._data.dataset import Dataset as Dataset
from causal_scrubbing._data.features import Feature as Feature
from causal_scrubbing._data.features import FeatureFunction as FeatureFunction
from causal_scrubbing._data.features import anything as anything
from causal_scrubbing._data.features import exact as exact
from causal_scrubbing._data.features import feature_name as feature_name
from causal_scrubbing._data.features import flatten_feature as flatten_feature
from causal_scrubbing._data.features import is_feature as is_feature
from causal_scrubbing._data.given import check_dataset as check_dataset
from causal_scrubbing._data.lazy import version as version
from causal_scrubbing._data.pictures import Picture as Picture
from causal_scrubbing._data.pictures import shown as shown
from causal_scrubbing._data.plain_features import feature_from_plain as feature_from_plain
from causal_scrubbing._data.plain_features import feature_to_plain as feature_to_plain
from causal_scrubbing._data.real_features import RealFeature as RealFeature
from causal_scrubbing._data.real_features import bins as bins
from causal_scrubbing._data.real_features import distinct as distinct
from causal_scrubbing._data.real_features import quantiles as quantiles
from causal_scrubbing._data.real_features import rounded as rounded
