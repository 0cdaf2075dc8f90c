"""Detection: who asks a model as nobody with honest inputs would, told from the queries alone.

A *statistic* makes a number of some successive queries of one client; `calibrate` sets its limit on clean inputs, at a
stated rate of false alarms; a `Follower` keeps what it needs of every client, bets on what is flagged and says when it
is enough. Statistics for tables and pictures alike: `NearQueries`, `QueryDistances`, `Neighbours`, `Squeezing`,
`Energy`; for pictures `Fingerprints`.
"""

from holdfast.detection.bet import Bet
from holdfast.detection.detector import Detector, calibrate
from holdfast.detection.distances import NearQueries, QueryDistances
from holdfast.detection.energy import Energy
from holdfast.detection.fingerprints import Fingerprints
from holdfast.detection.follower import Follower, Verdict
from holdfast.detection.limit import Limit, conformal_limit
from holdfast.detection.neighbours import Neighbours
from holdfast.detection.squeezing import Squeezing
from holdfast.detection.statistic import Statistic
from holdfast.detection.trial import DetectionTrial, try_detector
from holdfast.detection.views import PictureView, TableView, View, view_of

__all__ = [
    "Bet",
    "DetectionTrial",
    "Detector",
    "Energy",
    "Fingerprints",
    "Follower",
    "Limit",
    "NearQueries",
    "Neighbours",
    "PictureView",
    "QueryDistances",
    "Squeezing",
    "Statistic",
    "TableView",
    "Verdict",
    "View",
    "calibrate",
    "conformal_limit",
    "try_detector",
    "view_of",
]
