//! The multiples of the full group's generator G that the comb adds up.
//!
//! Entry d is the sum of 2^(64 t) G over the bits t of d, as the affine (y + x, y - x, 2dxy) of the
//! Edwards curve, little-endian words. G = B + T: B is Ed25519's base point, T the point of order
//! 8 with x = sqrt((sqrt(d + 1) + 1) / d), y = -x sqrt(-1), the signs as obfs4proxy has them, so that
//! the same random bytes make the same key. The tests compute every entry again.

/// See the module.
#[rustfmt::skip] // four words of a number to a line
pub(super) const TABLE: [[[u64; 4]; 3]; 16] = [
    [
        [0x0000_0000_0000_0001, 0x0000_0000_0000_0000, 0x0000_0000_0000_0000, 0x0000_0000_0000_0000],
        [0x0000_0000_0000_0001, 0x0000_0000_0000_0000, 0x0000_0000_0000_0000, 0x0000_0000_0000_0000],
        [0x0000_0000_0000_0000, 0x0000_0000_0000_0000, 0x0000_0000_0000_0000, 0x0000_0000_0000_0000],
    ],
    [
        [0x7888_43b8_7b14_fe18, 0x2957_2d0d_a60d_91e9, 0x5fd9_f057_92c2_2938, 0x2809_bebb_0295_5ca9],
        [0x4512_0f92_9cb0_35af, 0xf477_8613_ceb1_b282, 0xd6dc_fadb_ab85_b45c, 0x1bfc_5325_b957_eb8b],
        [0xe0ad_5bac_b3ff_fdf3, 0x8cbe_fd01_0b10_0106, 0x5a44_6ff6_598f_23ef, 0x079e_6d21_a093_fa63],
    ],
    [
        [0xcd2a_65e7_77d1_f515, 0x5489_9187_8faa_60f1, 0xb1b7_3bbc_dabc_06e5, 0x6548_78cb_a97c_c9fb],
        [0x5113_8ec7_8df6_b0fe, 0x5397_da89_e575_f51b, 0x0920_7a1d_717a_f1b9, 0x2102_fdba_2b20_d650],
        [0x969e_e405_055c_e6a1, 0x36bc_a768_1251_ad29, 0x3a1a_f517_aa7d_a415, 0x0ad7_25db_29ec_b2ba],
    ],
    [
        [0x95c5_d4d4_3b61_a9a2, 0xfa2e_7f6d_3376_59fe, 0xb794_441e_7d3e_e18a, 0x385b_3eb2_35cb_4acf],
        [0x2ec4_5e8d_bdd3_c193, 0xae05_92db_cb15_45e9, 0x7589_2668_6346_9935, 0x5b30_6341_4ca8_3a56],
        [0x193d_b95d_02ef_3730, 0x5f50_9c09_c6fb_eb80, 0x0b48_c865_a5ea_4625, 0x141a_0e77_5d62_b0aa],
    ],
    [
        [0x583b_04bf_acad_8ea2, 0x29b7_43e8_148b_e884, 0x2b1e_583b_0810_c5db, 0x2b54_49e5_8eb3_bbaa],
        [0x5f3a_7562_eb3d_be47, 0xf7ea_3854_8ebd_a0b8, 0x00c3_e531_4574_7299, 0x1304_e9e7_1627_d551],
        [0x7898_14d2_6adc_9cfe, 0x3c1b_ab3f_8b48_dd0b, 0xda0f_e1ff_f979_c60a, 0x4468_de2d_7c2d_d693],
    ],
    [
        [0x8e31_9210_cd3b_722a, 0x9093_f56b_00fd_91a1, 0x1b8d_5dec_51b7_ce88, 0x162f_b2c1_cf7e_6d56],
        [0x5e3b_bb04_3c23_80b7, 0xd0ec_a5db_a176_9368, 0xb170_b506_fa3c_1a06, 0x04b4_e342_3444_16ca],
        [0x717e_bbd6_0880_0f73, 0x0ed9_361c_192f_a0e6, 0x7040_c255_6ee4_72ea, 0x0870_b31d_9f11_05ac],
    ],
    [
        [0x15e7_053d_236a_044c, 0x3cdd_bcb1_3b8d_87e3, 0x5199_60d2_d321_a828, 0x4e55_9a0f_0fc5_bba4],
        [0xfe00_e876_9c12_701c, 0x95dc_dc0a_039c_3b5f, 0xc169_454b_0c02_eb1b, 0x7270_21d3_5f87_530c],
        [0xa571_0407_27df_241e, 0xdf45_efaa_b290_0d36, 0xfe6e_db5c_60a6_9ade, 0x64fc_b730_07bb_c01d],
    ],
    [
        [0x7f25_0fab_3618_7114, 0x4027_b137_cd23_8c1b, 0xaf8f_4f88_32ce_b1f2, 0x55d4_a00f_b1cb_e80a],
        [0xd984_43a5_5780_384a, 0x7b07_7b4f_4b80_f1e1, 0x76c4_7526_da29_fc49, 0x5e55_37d5_3eb3_a2f3],
        [0xd0ba_02cd_7eab_9fa3, 0xecc8_ddfc_4c69_ebcf, 0xad23_4c67_334a_5ed1, 0x294f_61a1_17e5_997b],
    ],
    [
        [0xa66d_cc9d_c80c_1ac0, 0x97a0_5cf4_1b38_a436, 0xa7eb_f3be_95db_d7c6, 0x7da0_b8f6_8d7e_7dab],
        [0xef78_2014_3856_75a6, 0xa264_9f30_aafd_a9e8, 0x4cd1_eb50_5cdf_a8cb, 0x4611_5aba_1d4d_c0b3],
        [0xd40f_1953_c3b5_da76, 0x1dac_6f73_2111_9e9b, 0x03cc_6021_feb2_5960, 0x5a5f_887e_8367_4b4b],
    ],
    [
        [0x7d31_42ba_958c_d4bd, 0x2144_759f_b2ee_895a, 0xcb2c_5974_4cdb_2df7, 0x2360_1f92_f908_3d68],
        [0x7adf_a006_1141_b58b, 0x0be9_676a_bf76_a4a9, 0x1934_a630_fb69_b1f2, 0x64d9_ab7f_e112_5a70],
        [0x17ba_6fd8_854a_9f42, 0x589c_40f7_314f_bbfd, 0xc33d_2881_cedf_8718, 0x056b_c74f_18c6_1e67],
    ],
    [
        [0x3c03_eacf_71ce_f800, 0x9036_7544_ca8a_febb, 0x383f_ea28_6a29_c477, 0x4e85_93b0_bc65_5462],
        [0x12de_114a_a3e5_638c, 0xba2a_4aa9_29c4_f20d, 0x56b0_d29d_7b8b_13a3, 0x6bb9_1a49_7b9b_7944],
        [0x2a49_e646_c5e7_d206, 0xb13e_f9cd_9263_c445, 0x50ab_6ce8_edab_529e, 0x20cf_7d79_b0eb_e39b],
    ],
    [
        [0xfbce_b0a8_f082_bf63, 0x1e70_7831_2001_31f8, 0xf41d_3a01_f866_58c9, 0x1cb5_ef73_9414_942f],
        [0x05f6_ce8e_fe70_8a4c, 0x0e01_d22c_a9c8_0b7a, 0x5797_c146_4937_a372, 0x3ea6_dca5_f3b7_b626],
        [0x35d1_c3a3_a7a4_a933, 0x3dda_1f72_41f4_584d, 0x865b_9a89_a8a3_bedc, 0x08cb_f6a0_6c10_ca2d],
    ],
    [
        [0x23e8_11ad_0e63_15df, 0x0b65_0d05_e2ae_b290, 0xb7ba_0f59_a75d_586c, 0x043e_edd4_5e1f_4dee],
        [0xf6c1_47f2_c707_3217, 0xc651_b919_f3af_d20c, 0x258f_dbfd_7041_f802, 0x173c_4fa9_4f45_073e],
        [0x3d71_ea60_928d_f9c4, 0x5b7e_7806_3373_562d, 0xd9b0_514c_a295_52b2, 0x1e2a_7024_993c_c472],
    ],
    [
        [0xbd95_86b7_cc70_798f, 0x7e82_357e_a953_8cb6, 0x611a_9790_0ed0_b8dd, 0x3818_6bdc_85a1_4306],
        [0xf800_944f_a8d7_7703, 0xd88a_237a_9024_326c, 0xb3ff_7aa9_3539_d6b8, 0x74f6_9726_8dca_45b0],
        [0xa6b4_280d_fab6_ef27, 0x975d_263c_7f4f_7fd5, 0xa855_7e9b_fa68_941a, 0x191f_fa7d_2002_2081],
    ],
    [
        [0x8de7_03b5_681d_104c, 0x3d2f_7a59_1263_cb45, 0xae71_0c17_1ce5_6c63, 0x6b85_7c7e_fcc3_e6ca],
        [0x79d2_56b4_8b28_01c0, 0x7e9f_beac_3c40_0fc4, 0xa751_ab1d_4733_ba41, 0x09de_2bf5_dd41_8aca],
        [0x3bf1_0ff3_eff0_687f, 0x5eba_ea34_f1e3_7ba2, 0xe49e_6126_1d66_034d, 0x5b46_6e2a_c3b2_42ca],
    ],
    [
        [0x6386_b34e_a563_2a82, 0xe8de_7e08_1757_fcae, 0x2a93_5670_fa80_0464, 0x1f4e_5527_e758_1cca],
        [0x266b_3f88_2f09_6545, 0xa5ab_46b3_8602_732f, 0xd305_0e76_bf53_bae7, 0x6ad9_e7c7_db0a_9f68],
        [0x76d6_1a68_3c80_f798, 0x7eb2_e21e_2038_2e3e, 0xb133_7c88_283b_9b5e, 0x5d80_a5c3_65c2_0f62],
    ],
];
