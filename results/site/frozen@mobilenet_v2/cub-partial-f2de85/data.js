window.board = {
"columns": 32,
"sheet": null,
"metric": "MAP@R",
"classes": ["101.White_Pelican","105.Whip_poor_Will","106.Horned_Puffin","109.American_Redstart","110.Geococcyx","114.Black_throated_Sparrow","120.Fox_Sparrow","123.Henslow_Sparrow","124.Le_Conte_Sparrow","132.White_crowned_Sparrow","134.Cape_Glossy_Starling","136.Barn_Swallow","138.Tree_Swallow","139.Scarlet_Tanager","140.Summer_Tanager","151.Black_capped_Vireo","152.Blue_headed_Vireo","158.Bay_breasted_Warbler","159.Black_and_white_Warbler","163.Cape_May_Warbler","164.Cerulean_Warbler","165.Chestnut_sided_Warbler","166.Golden_winged_Warbler","169.Magnolia_Warbler","170.Mourning_Warbler","172.Nashville_Warbler","176.Prairie_Warbler","180.Wilson_Warbler","181.Worm_eating_Warbler","184.Louisiana_Waterthrush","185.Bohemian_Waxwing","186.Cedar_Waxwing","187.American_Three_toed_Woodpecker","188.Pileated_Woodpecker","189.Red_bellied_Woodpecker","190.Red_cockaded_Woodpecker","191.Red_headed_Woodpecker","192.Downy_Woodpecker","194.Cactus_Wren","195.Carolina_Wren","198.Rock_Wren","200.Common_Yellowthroat"],
"entries": {
"xbm": {"title":"XBM","scores":[818,726,447,399,485,202,245,268,271,177,686,155,221,460,472,108,93,261,420,142,272,115,218,199,119,147,178,379,88,200,325,257,170,259,508,322,458,359,300,173,170,218]},
"ms": {"title":"Multi-Similarity","scores":[793,683,449,402,505,186,231,268,271,168,688,154,218,447,471,110,97,255,397,138,271,119,203,202,117,141,175,359,89,212,313,260,185,302,486,319,443,349,283,173,171,214]},
"nca": {"title":"NCA","scores":[824,674,427,404,442,165,225,274,250,125,747,103,201,462,451,97,96,255,391,119,276,102,171,192,101,144,149,349,73,168,279,242,176,265,413,268,441,326,286,116,152,177]},
"untrained": {"title":"Untrained (trunk's features)","scores":[673,537,384,272,597,150,256,242,261,157,595,166,215,389,395,82,69,226,312,134,252,99,229,202,89,107,144,286,92,246,301,271,209,345,428,314,377,296,235,226,189,173]},
"untrained_head": {"title":"Untrained (random head)","scores":[641,495,340,250,558,134,226,224,244,138,573,143,189,379,372,73,61,208,278,121,221,88,208,184,78,98,135,270,79,207,269,240,185,306,379,280,337,267,208,197,171,154]}
}};
