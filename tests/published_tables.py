"""What the label values of public data sets mean, typed from their devkits or public loaders, not taken from msda_tf.

Each table gives a trainId of Cityscapes, or 255, for every value that the data set defines.
"""

import raw_sets


def _words(text: str) -> list[str]:
    return text.split()


CLASSES = (
    *("road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation"),
    *("terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"),
)
TRAIN_IDS = {value: value for value in range(19)} | {255: 255}
CITYSCAPES = raw_sets.CITYSCAPES | {255: 255}
URBANSYN = TRAIN_IDS | {19: 255}

# wilddash_pano_id of the Robust Vision Challenge's devkit; Cityscapes' labelling policy for what WildDash adds.
WILDDASH = {value: train_id for value, train_id in CITYSCAPES.items() if value != 34}
WILDDASH_VFM = WILDDASH | {34: 255, 35: 255, 36: 255, 37: 255, 38: 255}
WILDDASH = WILDDASH | {34: 14, 35: 13, 36: 255, 37: 255, 38: 0}  # pickup, van, billboard, street light, road marking

# wd2_unified_label_policy.json: wd2_name in the order of its ids, each with the
# trainId of its cs_name if that is one of the 19, else "-".
_WILDDASH_PANOPTIC = """
unlabeled:- egovehicle:- overlay:- outofroi:- static:- dynamic:- ground:- road:0 sidewalk:1 parking:- railtrack:-
building:2 wall:3 fence:4 guardrail:- bridge:- tunnel:- pole:5 polegroup:- trafficlight:6 trafficsign:7 vegetation:8
terrain:9 sky:10 person:11 rider:12 car:13 truck:14 bus:15 caravan:- trailer:- onrails:16 motorcycle:17 bicycle:18
pickup:14 van:13 billboard:- streetlight:- roadmarking:0 junctionbox:- mailbox:- manhole:0 phonebooth:- pothole:0
bikerack:- trafficsignframe:5 utilitypole:5 motorcyclist:12 bicyclist:12 otherrider:12 bird:- groundanimal:- curb:1
trafficsignany:- trafficsignback:- trashcan:- otherbarrier:3 othervehicle:- autorickshaw:17 bench:- mountain:-
tramtrack:0 wheeledslow:- boat:- bikelane:0 bikelanesidewalk:1 banner:- dashcammount:- water:- sand:- pedestrianarea:0
firehydrant:- cctvcamera:- snow:- catchbasin:0 crosswalkplain:0 crosswalkzebra:0 manholesidewalk:1 curbterrain:9
servicelane:0 curbcut:1
"""
WILDDASH_PANOPTIC = {
    number: 255 if train_id == "-" else int(train_id)
    for number, (_, train_id) in enumerate(entry.split(":") for entry in _WILDDASH_PANOPTIC.split())
}

# RobustNet's loader of Mapillary Vistas 1.2.
MAPILLARY = dict.fromkeys(range(66), 255)
MAPILLARY |= {13: 0, 24: 0, 41: 0, 2: 1, 15: 1, 17: 2, 6: 3, 3: 4, 45: 5, 47: 5, 48: 6, 50: 7, 30: 8, 29: 9, 27: 10}
MAPILLARY |= {19: 11, 20: 12, 21: 12, 22: 12, 55: 13, 61: 14, 54: 15, 58: 16, 57: 17, 52: 18}

# Rein's converter goes by the names in config.json: what it makes of the ids that the table above has otherwise.
MAPILLARY_REIN = MAPILLARY | {41: 255}  # manhole
MAPILLARY_REIN |= {7: 0, 8: 0, 10: 0, 14: 0, 23: 0}  # bike lane, crosswalk, parking, service lane, zebra marking
MAPILLARY_REIN |= {9: 1, 11: 1, 44: 5, 46: 7, 49: 7}  # curb cut, pedestrian area, street light, sign frame and back

MAPILLARY_2_NAMES = _words("""
animal--bird animal--ground-animal construction--barrier--ambiguous construction--barrier--concrete-block
construction--barrier--curb construction--barrier--fence construction--barrier--guard-rail
construction--barrier--other-barrier construction--barrier--road-median construction--barrier--road-side
construction--barrier--separator construction--barrier--temporary construction--barrier--wall
construction--flat--bike-lane construction--flat--crosswalk-plain construction--flat--curb-cut
construction--flat--driveway construction--flat--parking construction--flat--parking-aisle
construction--flat--pedestrian-area construction--flat--rail-track construction--flat--road
construction--flat--road-shoulder construction--flat--service-lane construction--flat--sidewalk
construction--flat--traffic-island construction--structure--bridge construction--structure--building
construction--structure--garage construction--structure--tunnel human--person--individual human--person--person-group
human--rider--bicyclist human--rider--motorcyclist human--rider--other-rider marking--continuous--dashed
marking--continuous--solid marking--continuous--zigzag marking--discrete--ambiguous marking--discrete--arrow--left
marking--discrete--arrow--other marking--discrete--arrow--right marking--discrete--arrow--split-left-or-straight
marking--discrete--arrow--split-right-or-straight marking--discrete--arrow--straight marking--discrete--crosswalk-zebra
marking--discrete--give-way-row marking--discrete--give-way-single marking--discrete--hatched--chevron
marking--discrete--hatched--diagonal marking--discrete--other-marking marking--discrete--stop-line
marking--discrete--symbol--bicycle marking--discrete--symbol--other marking--discrete--text
marking-only--continuous--dashed marking-only--discrete--crosswalk-zebra marking-only--discrete--other-marking
marking-only--discrete--text nature--mountain nature--sand nature--sky nature--snow nature--terrain nature--vegetation
nature--water object--banner object--bench object--bike-rack object--catch-basin object--cctv-camera
object--fire-hydrant object--junction-box object--mailbox object--manhole object--parking-meter object--phone-booth
object--pothole object--sign--advertisement object--sign--ambiguous object--sign--back object--sign--information
object--sign--other object--sign--store object--street-light object--support--pole object--support--pole-group
object--support--traffic-sign-frame object--support--utility-pole object--traffic-cone
object--traffic-light--general-single object--traffic-light--pedestrians object--traffic-light--general-upright
object--traffic-light--general-horizontal object--traffic-light--cyclists object--traffic-light--other
object--traffic-sign--ambiguous object--traffic-sign--back object--traffic-sign--direction-back
object--traffic-sign--direction-front object--traffic-sign--front object--traffic-sign--information-parking
object--traffic-sign--temporary-back object--traffic-sign--temporary-front object--trash-can object--vehicle--bicycle
object--vehicle--boat object--vehicle--bus object--vehicle--car object--vehicle--caravan object--vehicle--motorcycle
object--vehicle--on-rails object--vehicle--other-vehicle object--vehicle--trailer object--vehicle--truck
object--vehicle--vehicle-group object--vehicle--wheeled-slow object--water-valve void--car-mount void--dynamic
void--ego-vehicle void--ground void--static void--unlabeled
""")


def _mapillary_2(name: str) -> int:
    last = name.split("--")[-1]
    if name.startswith("marking"):
        return 255 if last == "crosswalk-zebra" else 0
    if name.startswith("human"):
        return 11 if "person" in name else 12
    if name.startswith("object--traffic-light"):
        return 6
    if name.startswith("object--traffic-sign"):
        return 7 if last.endswith("front") or last == "information-parking" else 255
    if name.startswith("object--vehicle"):
        wanted = {"car": 13, "truck": 14, "bus": 15, "on-rails": 16, "motorcycle": 17, "bicycle": 18}
        return wanted.get(last, 255)
    wanted = {"road": 0, "manhole": 0, "sidewalk": 1, "curb": 1, "building": 2, "garage": 2, "wall": 3, "fence": 4}
    wanted |= {"pole": 5, "utility-pole": 5, "vegetation": 8, "terrain": 9, "sky": 10}
    return wanted.get(last, 255)


MAPILLARY_2 = {number: _mapillary_2(name) for number, name in enumerate(MAPILLARY_2_NAMES)}

# Name, csTrainId, level3Id, level1Id of AutoNUE's helpers/anue_labels.py.
_IDD = """
road 0 0 0|parking 255 1 0|drivable fallback 255 1 0|sidewalk 1 2 1|rail track 255 3 1|non-drivable fallback 9 3 1
person 11 4 2|animal 255 4 2|rider 12 5 2|motorcycle 17 6 3|bicycle 18 7 3|autorickshaw 255 8 3|car 13 9 3|truck 14 10 3
bus 15 11 3|caravan 255 12 3|trailer 255 12 3|train 16 12 3|vehicle fallback 255 12 3|curb 255 13 4|wall 3 14 4
fence 4 15 4|guard rail 255 16 4|billboard 255 17 4|traffic sign 7 18 4|traffic light 6 19 4|pole 5 20 4
polegroup 255 20 4|obs-str-bar-fallback 255 21 4|building 2 22 5|bridge 255 23 5|tunnel 255 23 5|vegetation 8 24 5
sky 10 25 6|fallback background 255 25 6|unlabeled 255 255 255|ego vehicle 255 255 255
rectification border 255 255 255|out of roi 255 255 255|license plate 255 255 255
"""
_IDD_ROWS = [row.rsplit(" ", 3) for line in _IDD.strip().splitlines() for row in line.split("|")]
IDD, IDD_26, IDD_7 = ({row[0]: int(row[column]) for row in _IDD_ROWS} for column in (1, 2, 3))

# Colours and names of CamVid's 32 classes; its usual 11 classes in SegNet's order.
_CAMVID = """
Animal 64 128 64 9|Archway 192 0 128 1|Bicyclist 0 128 192 10|Bridge 0 128 64 1|Building 128 0 0 1|Car 64 0 128 8
CartLuggagePram 64 0 192 9|Child 192 128 64 9|Column_Pole 192 192 128 2|Fence 64 64 128 7|LaneMkgsDriv 128 0 192 3
LaneMkgsNonDriv 192 0 64 3|Misc_Text 128 128 64 6|MotorcycleScooter 192 0 192 10|OtherMoving 128 64 64 8
ParkingBlock 64 192 128 4|Pedestrian 64 64 0 9|Road 128 64 128 3|RoadShoulder 128 128 192 4|Sidewalk 0 0 192 4
SignSymbol 192 128 128 6|Sky 128 128 128 0|SUVPickupTruck 64 128 192 8|TrafficCone 0 0 64 2|TrafficLight 0 64 64 6
Train 192 64 128 8|Tree 128 128 0 5|Truck_Bus 192 128 192 8|Tunnel 64 0 64 1|VegetationMisc 192 192 0 5|Void 0 0 0 255
Wall 64 192 0 1
"""
_CAMVID_ROWS = [row.split() for line in _CAMVID.strip().splitlines() for row in line.split("|")]
CAMVID = {tuple(map(int, row[1:4])): int(row[4]) for row in _CAMVID_ROWS}
_CAMVID_AS_CITYSCAPES = {"Road": 0, "LaneMkgsDriv": 0, "LaneMkgsNonDriv": 0, "Sidewalk": 1, "Building": 2, "Archway": 2}
_CAMVID_AS_CITYSCAPES |= {"Wall": 3, "Fence": 4, "Column_Pole": 5, "TrafficLight": 6, "SignSymbol": 7, "Tree": 8}
_CAMVID_AS_CITYSCAPES |= {
    "VegetationMisc": 8,
    "Sky": 10,
    "Pedestrian": 11,
    "Child": 11,
    "Car": 13,
    "SUVPickupTruck": 13,
}
_CAMVID_AS_CITYSCAPES |= {"Train": 16, "MotorcycleScooter": 17}
CAMVID_19 = {tuple(map(int, row[1:4])): _CAMVID_AS_CITYSCAPES.get(row[0], 255) for row in _CAMVID_ROWS}

# A2D2's class_list.json, and the classes that its names stand for in Cityscapes.
_A2D2 = """
ff0000 Car 1|c80000 Car 2|960000 Car 3|800000 Car 4|b65906 Bicycle 1|963204 Bicycle 2|5a1e01 Bicycle 3|5a1e1e Bicycle 4
cc99ff Pedestrian 1|bd499b Pedestrian 2|ef59bf Pedestrian 3|ff8000 Truck 1|c88000 Truck 2|968000 Truck 3
00ff00 Small vehicles 1|00c800 Small vehicles 2|009600 Small vehicles 3|0080ff Traffic signal 1|1e1c9e Traffic signal 2
3c1c64 Traffic signal 3|00ffff Traffic sign 1|1edcdc Traffic sign 2|3c9dc7 Traffic sign 3|ffff00 Utility vehicle 1
ffffc8 Utility vehicle 2|e96400 Sidebars|6e6e00 Speed bumper|808000 Curbstone|ffc125 Solid line|400040 Irrelevant signs
b97a57 Road blocks|000064 Tractor|8b636c Non-drivable street|d23273 Zebra crossing|ff0080 Obstacles / trash|fff68f Poles
960096 RD restricted area|ccff99 Animals|eea2ad Grid structure|212cb1 Signal corpus|b432b4 Drivable cobblestone
ff46b9 Electronic traffic|eee9bf Slow drive area|93fdc2 Nature object|9696c8 Parking area|b496c8 Sidewalk|48d1cc Ego car
c87dd2 Painted driv. instr.|9f79ee Traffic guide obj.|8000ff Dashed line|ff00ff RD normal street|87ceff Sky
f1e6ff Buildings|60458f Blurred area|352e52 Rain dirt
"""
_A2D2_CLASSES = {"Car": 13, "Bicycle": 18, "Pedestrian": 11, "Truck": 14, "Small vehicles": 17, "Traffic signal": 6}
_A2D2_CLASSES |= {"Traffic sign": 7, "Sidebars": 5, "Poles": 5, "Speed bumper": 0, "Curbstone": 1, "Solid line": 0}
_A2D2_CLASSES |= {"Zebra crossing": 0, "RD restricted area": 0, "Grid structure": 4, "Signal corpus": 6, "Sky": 10}
_A2D2_CLASSES |= {"Drivable cobblestone": 0, "Slow drive area": 0, "Nature object": 8, "Sidewalk": 1, "Buildings": 2}
_A2D2_CLASSES |= {"Painted driv. instr.": 0, "Dashed line": 0, "RD normal street": 0}
A2D2 = {
    tuple(bytes.fromhex(row[:6])): _A2D2_CLASSES.get(row[7:].rstrip(" 1234"), 255)
    for line in _A2D2.strip().splitlines()
    for row in line.split("|")
} | {(0, 0, 0): 255}

# Ids of VIPER by position, from the Robust Vision Challenge's devkit.
_VIPER = _words("""
unlabeled ambiguous sky road sidewalk railtrack terrain tree vegetation building infrastructure fence billboard
trafficlight trafficsign mobilebarrier firehydrant chair trash trashcan person animal bicycle motorcycle car van bus
truck trailer train plane boat
""")
_VIPER_CLASSES = {"sky": 10, "road": 0, "sidewalk": 1, "terrain": 9, "tree": 8, "vegetation": 8, "building": 2}
_VIPER_CLASSES |= {"fence": 4, "trafficlight": 6, "trafficsign": 7, "person": 11, "bicycle": 18, "motorcycle": 17}
_VIPER_CLASSES |= {"car": 13, "van": 13, "bus": 15, "truck": 14, "train": 16}
VIPER = {number: _VIPER_CLASSES.get(name, 255) for number, name in enumerate(_VIPER)}

# CARLA's ObjectLabel.h since 0.9.14, and the table of its documentation before.
CARLA = {0: 255} | {number: number - 1 for number in range(1, 20)} | dict.fromkeys(range(20, 29), 255) | {24: 0}
_OLD_CARLA = _words("""
unlabeled building fence other pedestrian pole roadline road sidewalk vegetation vehicle wall trafficsign sky ground
bridge railtrack guardrail trafficlight static dynamic water terrain
""")
_OLD_CARLA_CLASSES = {"building": 2, "fence": 4, "pedestrian": 11, "pole": 5, "roadline": 0, "road": 0, "sidewalk": 1}
_OLD_CARLA_CLASSES |= {"vegetation": 8, "vehicle": 13, "wall": 3, "trafficsign": 7, "sky": 10, "trafficlight": 6}
_OLD_CARLA_CLASSES |= {"terrain": 9}
OLD_CARLA = {number: _OLD_CARLA_CLASSES.get(name, 255) for number, name in enumerate(_OLD_CARLA)}
